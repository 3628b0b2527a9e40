"""What the dashboard's pages read: bounded, by index, page by page."""
