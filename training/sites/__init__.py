"""What a site will sell, learned from the stores of a chain and judged on stretches of town that were held back."""
