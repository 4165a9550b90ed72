-- Contacts of all users. In round 0 each brings half of theirs from elsewhere, so these lie side by side. The others come in 20 rounds
-- over the years, so everybody's lie between everybody's. 60 % have an e-mail, 85 % a phone number, 40 % a birthday, 20 % a note.
-- $1 the round. {mark} begins each part of a search key.
insert into contacts (user_id, first_name, last_name, email, phone_number, birthday, additional_info, search)
select user_id, first_name, last_name, email, phone, birthday, note,
  concat('{mark}', lower(first_name), U&'\001f', '{mark}', lower(last_name), U&'\001f', '{mark}', email, U&'\001f', '{mark}', substr(phone, 2))
from plan,
  generate_series(
    case $1::integer when 0 then 1 else size / 2 + (size - size / 2) * ($1 - 1) / 20 + 1 end,
    case $1 when 0 then size / 2 else size / 2 + (size - size / 2) * $1 / 20 end
  ) as n
cross join lateral (select hashint8(user_id * 1000003 + n)::bigint & 2147483647 as h) as hashed
cross join lateral (
  select (array['Anna', 'Bohdan', 'Chloe', 'Dmytro', 'Elena', 'Farid', 'Grace', 'Halyna', 'Ivan', 'Jose', 'Kateryna', 'Liam', 'Maria',
      'Nazar', 'Olha', 'Petro', 'Quentin', 'Roman', 'Sofia', 'Taras', 'Uwe', 'Vira', 'William', 'Xenia', 'Yurii', 'Zoe'])[1 + h % 26]
      as first_name,
    (array['Bondar', 'Clark', 'Dubois', 'Evans', 'Franko', 'Garcia', 'Hnatiuk', 'Ivanenko', 'Jones', 'Kovalenko', 'Lysenko', 'Meyer',
      'Novak', 'Oliinyk', 'Petrenko', 'Rossi', 'Shevchenko', 'Tkachenko', 'Ukrainka', 'Vasquez'])[1 + h / 26 % 20]
      as last_name
) as names
cross join lateral (
  select case when h / 7 % 100 < 60 then format('%s%s@mail.org', lower(first_name), n) end as email,
    case when h / 11 % 100 < 85 then format('+380%s', 500000000 + h % 400000000) end as phone,
    case when h / 13 % 100 < 40 then date '1940-01-01' + (h / 17 % 29000)::integer end as birthday,
    case when h / 19 % 100 < 20 then 'We met at the conference, and talked about birds.' end as note
) as others
