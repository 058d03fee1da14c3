"""Which calls a request asks for: scope, period, conditions, bounded counts."""
