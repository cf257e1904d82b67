"""Live events of turns for gateways: durable events right after their flush, and frames of channels as they are filled.

service.py is the gRPC side: one call for each gateway process. connection.py holds what waits to be sent to one
gateway, and its subscribers: the turns and sessions to which the gateway is subscribed. subscribers.py finds the
subscribers of a turn. hub.py sends them durable events; frame_publisher.py sends them frames, of which
channel_update.py (pure) decides what comes next, and to which turn_frames.py gives numbers. items.py makes the
messages.

Nothing here is the truth: what a gateway misses here it reads in Postgres. So everything is bounded, and the worker
never waits for a gateway.
"""
