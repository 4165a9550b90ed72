-- A round trip.
select 1
