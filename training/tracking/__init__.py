"""What MLflow holds of a fit, and where."""
