"""The recorder, which runs inside a watched program: standard library only, no import of loghc."""
