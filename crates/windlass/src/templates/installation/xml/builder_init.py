"""The build behaviours of this builder: one file for each project."""
