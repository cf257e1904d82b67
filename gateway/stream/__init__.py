"""How clients follow turns live, through any gateway: first history from Postgres, then what the owner sends.

line.py is one gRPC stream to one worker. watch.py keeps one client's interest in a turn or session subscribed at the
owner. tale.py decides which messages a client gets next of a turn (pure, with seam.py and channels_told.py). history.py
reads Postgres. turn_story.py and session_story.py put these together. streams.py holds all open streams;
event_stream.py sends one.

A stream needs nothing of what an owner sends live: what it misses it reads from Postgres. So every queue has a bound,
and no worker waits for a client.
"""
