"""From a capture file to a `Trace`: opening, framing, decoding, health."""
