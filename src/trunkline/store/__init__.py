"""What outlives a process: SQLAlchemy Core tables, queries and migrations. The only room that awaits a database."""
