"""The config group `space`: a file for each preset."""
