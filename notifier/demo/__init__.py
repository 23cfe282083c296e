"""The demonstration: the whole walk on the samples, against a relay that behaves as real ones do."""
