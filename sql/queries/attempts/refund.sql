-- Gives an attempt back.
-- $1 subject, $2 when it was reserved. Index: attempts_pkey.
update attempts set at = array_remove(at, $2) where subject = $1
