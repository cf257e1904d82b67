"""`argosy check`: finds code in workflows that would not replay, by reading their files.

Promise: the files are parsed and never run. Only what is certain is reported: names are resolved through imports,
aliases and scopes, and nothing is reported of a name whose meaning cannot be resolved.
"""
