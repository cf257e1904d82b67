"""`argosy check`: what of a workflow would not replay, told from its text.

Promise: the files are parsed and never run. What cannot be told for certain is not reported: names are resolved through
imports, aliases and scopes, and a name whose meaning is open means nothing.
"""
