-- Sessions that ended within the last so many seconds.
-- $1 seconds. Index: revocations_revoked_at_idx.
select session_id from revocations where revoked_at > now() - make_interval(secs => $1)
