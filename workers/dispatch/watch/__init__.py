"""What gateways hear live of turns: durable events right after their flush, frames of channels as they are filled.

hub.py knows who watches what; cut.py decides what a watcher is sent next of a channel (pure); turn_frames.py numbers
what was sent; subscription.py and line.py hold what waits for a gateway; service.py is the gRPC side.

Nothing here is the truth: whoever misses something reads it in Postgres. So everything is bounded, and nobody waits.
"""
