"""Topics of others as sources of graphs (INGEST_TOPICS).

What makes a record count once is the graph's own file: a partition of a topic is a feed there (argosy/graph/feeds.py),
and the number of a line is the offset of its record, plus one. So no worker owns a partition: two that read the same
one do nothing twice.
"""
