"""The description page's template and style."""
