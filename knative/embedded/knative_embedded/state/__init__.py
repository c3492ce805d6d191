"""What survives a restart: the folder, the database, the objects and their history."""
