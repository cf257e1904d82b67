"""The kind of worker that puts lines into graphs: of uploads, and of topics."""
