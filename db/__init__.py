"""The database: schema, migrations, and queries by subject. SQLAlchemy stays within."""
