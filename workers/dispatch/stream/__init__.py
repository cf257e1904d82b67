"""Live events of turns for gateways: durable events right after their flush, and frames of channels as they are filled.

hub.py tells subscriptions what happens; watchers.py finds the subscriptions of a turn; feeder.py sends frames, of which
cut.py (pure) decides what comes next and turn_frames.py gives the numbers; line.py holds a gateway's subscriptions and
what waits to be sent to it; items.py makes the messages; service.py is the gRPC side.

Nothing here is the truth: what a gateway misses here it reads in Postgres. So everything is bounded, and the worker
never waits for a gateway.

A watcher is a subscription of a gateway to one turn or session.
"""
