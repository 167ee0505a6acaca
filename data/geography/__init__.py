"""Stores, places, sites and grids as people have them: any file of points, in any coordinates."""
