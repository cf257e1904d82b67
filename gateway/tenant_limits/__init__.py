"""Limits of tenants, which hold for all gateways together.

How much of a rate a tenant has used is a bucket in Postgres, one row for each tenant and kind of request, which fills
at the tenant's rate by Postgres's clock, up to its burst. No request waits for it:

- Each gateway has a bucket of its own for each tenant that it serves, in memory, and asks that alone (account.py).
- Every GATEWAY_LIMITS_INTERVAL_S it tells Postgres, in one statement for all busy tenants, what it has let through
  and how much was asked for, and hears what is left and which share is its own: its part of what was asked for
  lately, fleet-wide, with older requests counting less and less (FADE_S). It then has `share * what is left`, and
  fills at `share * rate`. So shares follow demand: a tenant whose requests all come to one gateway has its whole rate
  there.
- What was let through is subtracted whoever let it through, also below zero: what was too much for a moment is owed,
  and is paid before anything new. So over time no more passes than the rate, whatever the shares were meanwhile.
- A gateway that has not heard of a tenant yet begins with the part that each gateway would have if all were alike:
  1/N of burst and rate. N is how many gateways Postgres heard of lately.

What follows from it, for a rate r and a burst b (which is at least what comes in a second):

- In T seconds all gateways together let through at most r * T + b, and once b more: what gateways that have not heard
  of each other's requests let through within an interval. It is owed.
- Killing a gateway loses what it had not told: at most what it let through in an interval. Its share is the others'
  again as what it was asked fades, and what it does not use meanwhile they have at once: it is left in the bucket.
- Without Postgres a gateway goes on with the share that it had for STALE_S, and then with 1/N of the gateways that
  there were. What it lets through then is not told afterwards: the bucket has filled meanwhile, too. So all together
  stay within the rate unless gateways were added; one that has never reached Postgres counts GATEWAY_WORKERS.
- A tenant that asks a gateway for less than a twentieth of its equal share is not told of: 5 % in sum, and no row.

Streams are counted, not metered: see stream_room.py.
"""
