"""How clients follow turns live, through any gateway: history from Postgres, then what the owner tells, without a seam.

line.py is one gRPC stream to one worker; watch.py is one client's interest, kept subscribed at whoever owns the turn;
tale.py decides what one client is told next of one turn (pure, with seam.py and channels_told.py); history.py reads
Postgres; turn_story.py and session_story.py put it together; streams.py holds all open ones, event_stream.py sends one.

Nothing that is heard live is needed: whatever was missed is read. So everything is bounded, and nobody waits.
"""
