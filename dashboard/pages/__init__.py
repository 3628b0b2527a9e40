"""The pages. Each module has a `router`, which `app.create_app` finds."""
