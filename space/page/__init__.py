"""The report page's template, style and script."""
