"""How clients follow turns live, through any gateway: first history from Postgres, then what the owner sends.

stream.py joins the two for one client. Its source knows the messages: turn_source.py of one turn, session_source.py of
a session's turns one after the other. For each turn turn_cursor.py (pure, with continuity.py and channel_view.py) keeps
what the client has, and so which messages come next; history.py reads Postgres. follower.py keeps the client's target
subscribed at the owner, over a connection.py: one gRPC stream to one worker, for all clients. streams.py holds all open
streams; stream_response.py sends one, and sse.py gives it its format.

A stream needs nothing of what an owner sends live: what it misses it reads from Postgres. So every queue has a bound,
and no worker waits for a client.
"""
