-- How many contacts each user has: three of a known size, and 33,000 for each ten million, 300 on average and as people differ: half have
-- fewer than 165, one in a hundred has more than 2,100. {users} is their number. The same at each run.
create unlogged table plan as select 0::bigint as user_id, 0 as size limit 0;
insert into plan values (1, 300), (2, 10000), (3, 100000);
select setseed(0.5);
insert into plan
select n + 3, least(5000, greatest(1, exp(5.1 + 1.1 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))))
from generate_series(1, {users}) as n;
insert into users (id, username, email, password_hash)
select user_id, 'User', format('user%s@example.com', user_id), '{hash}' from plan;
analyze plan;
