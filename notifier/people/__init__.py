"""People: records become persons with contacts. Identity, matching, households, waves (DESIGN 7)."""
