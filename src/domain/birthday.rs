//! When birthdays fall: the list, the calendar and the windows of the query all ask here, so they
//! agree.
//!
//! A birthday on 29 February falls on 28 February in a year that has none.

use chrono::{Datelike, Days, NaiveDate};

/// The longest window in days: with it, any day of the year is in it.
pub const WINDOW_MAX_DAYS: u16 = 366;

/// 29 February.
pub const LEAP_DAY: i16 = 229;

/// The month and the day as one number that sorts as they do: 3 April is 403. It is what the
/// database has an index on.
pub fn month_day(date: NaiveDate) -> i16 {
    (date.month() * 100 + date.day()) as i16
}

/// The day on which `birthday` falls in `year`.
pub fn in_year(birthday: NaiveDate, year: i32) -> NaiveDate {
    // Out of chrono's range of a quarter of a million years, the last day there is: a client's
    // `today` may be anything, and must not panic.
    NaiveDate::from_ymd_opt(year, birthday.month(), birthday.day())
        .or_else(|| NaiveDate::from_ymd_opt(year, 2, 28))
        .unwrap_or(NaiveDate::MAX)
}

/// The first day on which `birthday` falls that is `today` or later; the days until then, 0 to 366; and the age in years that is
/// reached on it: 0 on the day of birth, and below that for a `today` that is years before it.
pub fn next(birthday: NaiveDate, today: NaiveDate) -> (NaiveDate, i64, i32) {
    let this_year = in_year(birthday, today.year());
    let day = if this_year >= today { this_year } else { in_year(birthday, today.year() + 1) };
    (day, (day - today).num_days(), day.year() - birthday.year())
}

/// A range of [`month_day`]s within one year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first [`month_day`] that is in it.
    pub from: i16,
    /// The last. It need not be a day that exists.
    pub to: i16,
    /// Whether its year has no 29 February: then who has 229 celebrates on 228, and sorts with
    /// those who have 228 and not after them.
    pub leap_day_on_28: bool,
}

impl Window {
    /// The window with no day in it: none is between 1 and 0.
    pub const EMPTY: Window = Window { from: 1, to: 0, leap_day_on_28: false };

    /// Its days as ranges in their order, and whether a range counts as one day: 28 and 29 February are celebrated together,
    /// so their names sort together.
    pub fn ranges(self) -> impl Iterator<Item = (i16, i16, bool)> {
        let Window { from, to, leap_day_on_28 } = self;
        let ranges = if leap_day_on_28 && (from..=to).contains(&LEAP_DAY) {
            [(from, LEAP_DAY - 2, false), (LEAP_DAY - 1, LEAP_DAY, true), (LEAP_DAY + 1, to, false)]
        } else {
            [(from, to, false), (1, 0, false), (1, 0, false)]
        };
        ranges.into_iter().filter(|(from, to, _)| from <= to)
    }
}

/// The birthdays that fall on `today` … `today + days`, both included, as two ranges of
/// [`month_day`]: the rest of this year, then of the next one up to the day before `today`. Each
/// birthday is in one range at most, so it is listed once, for its nearest day. More than 366
/// `days` are as many.
///
/// Nearest first is: by window, then by month and day with [`Window::leap_day_on_28`] applied. Two
/// ranges are enough, since what a window has in its third year it had in its first (366 days from
/// 31 December of a leap year reach 1 January of the year after next).
pub fn windows(today: NaiveDate, days: u16) -> [Window; 2] {
    let days = Days::new(days.min(WINDOW_MAX_DAYS).into());
    let end = today.checked_add_days(days).unwrap_or(NaiveDate::MAX);
    let first = window(today.year(), month_day(today), until(today.year(), end));
    if end.year() == today.year() {
        return [first, Window::EMPTY];
    }
    let next = today.year() + 1;
    let before_today = month_day(today) - 1;
    [first, window(next, 101, until(next, end).min(before_today))]
}

/// The last [`month_day`] that falls in `year` and no later than `end`.
fn until(year: i32, end: NaiveDate) -> i16 {
    if end.year() > year {
        return 1231;
    }
    match month_day(end) {
        // Who was born on the 29th celebrates too.
        228 if !end.leap_year() => LEAP_DAY,
        other => other,
    }
}

fn window(year: i32, from: i16, to: i16) -> Window {
    if from > to {
        return Window::EMPTY;
    }
    Window { from, to, leap_day_on_28: NaiveDate::from_ymd_opt(year, 2, 29).is_none() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// A day of the walk, and who celebrates on it: the rule itself, stated once more.
    struct Day {
        date: NaiveDate,
        celebrating: Vec<i16>,
    }

    fn days(first: &str, last: &str) -> Vec<Day> {
        let days = date(first).iter_days();
        days.take_while(|day| *day <= date(last)).map(day).collect()
    }

    fn day(date: NaiveDate) -> Day {
        let mut celebrating = vec![(date.month() * 100 + date.day()) as i16];
        if celebrating == [228] && NaiveDate::from_ymd_opt(date.year(), 2, 29).is_none() {
            celebrating.push(229);
        }
        Day { date, celebrating }
    }

    /// Every birthday there is with the days that pass until it, by walking through the days that
    /// follow; nearest first.
    fn walk(days: &[Day]) -> Vec<(i16, u16)> {
        let mut met = [false; 1232];
        let mut reached = Vec::with_capacity(366);
        for (passed, day) in days.iter().enumerate() {
            for md in &day.celebrating {
                if !std::mem::replace(&mut met[*md as usize], true) {
                    reached.push((*md, passed as u16));
                }
            }
            if reached.len() == 366 {
                break;
            }
        }
        assert_eq!(reached.len(), 366);
        reached
    }

    /// What the query does with a window: whether a month and day is in it, and by what it sorts.
    fn place(window: &Window, md: i16) -> Option<i16> {
        let falls_on = match md {
            229 if window.leap_day_on_28 => 228,
            other => other,
        };
        (window.from <= md && md <= window.to).then_some(falls_on)
    }

    /// Compares [`windows`] with the walk: who is in, once each, and in which order.
    fn check(today: NaiveDate, reached: &[(i16, u16)], days: u16) {
        let [this, next] = windows(today, days);
        let mut before = None;
        for (md, passed) in reached {
            let place = match (place(&this, *md), place(&next, *md)) {
                (Some(day), None) => Some((1, day)),
                (None, Some(day)) => Some((2, day)),
                (None, None) => None,
                (Some(_), Some(_)) => panic!("{today} +{days}: {md} is listed twice"),
            };
            assert_eq!(place.is_some(), *passed <= days, "{today} +{days}: {md}");
            if let (Some((before, passed_before)), Some(place)) = (before, place) {
                let as_near = *passed == passed_before;
                assert_eq!(place == before, as_near, "{today} +{days}: {md}");
                assert!(place >= before, "{today} +{days}: {md} out of order");
            }
            before = place.map(|place| (place, *passed));
        }
    }

    #[test]
    fn windows_agree_with_a_walk_from_every_day_of_1900_to_2100() {
        let days = days("1900-01-01", "2103-12-31");
        let mut seed = 1_u32;
        for (at, today) in days.iter().enumerate() {
            if today.date.year() > 2100 {
                break;
            }
            // A number of days that wanders over 0 to 366 in the course of the years.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            check(today.date, &walk(&days[at..]), (seed >> 16) as u16 % 367);
        }
    }

    #[test]
    fn windows_agree_with_it_for_many_lengths_in_the_telling_years() {
        let lengths = (0..=9).chain([27, 28, 29, 30, 31, 58, 59, 60, 61, 180]);
        let lengths: Vec<u16> = lengths.chain(300..=302).chain(360..=366).collect();
        for year in [1900, 1903, 1904, 1999, 2000, 2099, 2100] {
            let days = days(&format!("{year}-01-01"), &format!("{}-12-31", year + 5));
            for (at, today) in days.iter().enumerate() {
                if today.date.year() > year {
                    break;
                }
                let reached = walk(&days[at..]);
                for days in &lengths {
                    check(today.date, &reached, *days);
                }
            }
        }
    }

    #[test]
    fn the_next_birthday_agrees_with_the_walk() {
        for year in [1900, 1903, 1904, 2000, 2023, 2024, 2025, 2100] {
            let days = days(&format!("{year}-01-01"), &format!("{}-12-31", year + 5));
            for (at, today) in days.iter().enumerate() {
                if today.date.year() > year {
                    break;
                }
                for (md, passed) in walk(&days[at..]) {
                    let (month, day) = (md as u32 / 100, md as u32 % 100);
                    let birthday = NaiveDate::from_ymd_opt(1904, month, day).unwrap();
                    let falls = days[at + usize::from(passed)].date;
                    assert_eq!(month_day(birthday), md);
                    let expected = (falls, i64::from(passed), falls.year() - 1904);
                    assert_eq!(next(birthday, today.date), expected, "{md}, {}", today.date);
                }
            }
        }
    }

    #[test]
    fn a_birthday_on_29_february_falls_on_the_28th_in_a_year_without_one() {
        let leapling = date("2004-02-29");
        for (today, next_birthday, days, age) in [
            ("2023-02-27", "2023-02-28", 1, 19),
            ("2023-02-28", "2023-02-28", 0, 19),
            ("2023-03-01", "2024-02-29", 365, 20),
            ("2024-02-28", "2024-02-29", 1, 20),
            ("2024-02-29", "2024-02-29", 0, 20),
            ("2024-03-01", "2025-02-28", 364, 21),
            ("2100-02-28", "2100-02-28", 0, 96),
        ] {
            let today = date(today);
            assert_eq!(next(leapling, today), (date(next_birthday), days, age), "{today}");
        }
        assert_eq!(next(date("2024-05-05"), date("2024-05-05")).2, 0);
        assert_eq!(next(date("1990-02-28"), date("2024-02-29")).1, 365);
        assert_eq!(next(date("1990-03-01"), date("2023-03-02")).1, 365);
    }

    #[test]
    fn windows_as_numbers() {
        let window = |from, to, leap_day_on_28| Window { from, to, leap_day_on_28 };
        let check = |today, days, expected| assert_eq!(windows(date(today), days), expected);
        check("2024-06-10", 7, [window(610, 617, false), Window::EMPTY]);
        check("2023-12-28", 7, [window(1228, 1231, true), window(101, 104, false)]);
        check("2023-02-25", 3, [window(225, 229, true), Window::EMPTY]);
        check("2024-02-25", 3, [window(225, 228, false), Window::EMPTY]);
        check("2024-02-29", 366, [window(229, 1231, false), window(101, 228, true)]);
        check("2023-01-01", 366, [window(101, 1231, true), Window::EMPTY]);
        check("2024-12-31", 366, [window(1231, 1231, false), window(101, 1230, true)]);
        check("2024-12-31", u16::MAX, [window(1231, 1231, false), window(101, 1230, true)]);
    }

    #[test]
    fn no_date_is_too_far_away() {
        for today in [NaiveDate::MIN, NaiveDate::MAX, date("+262142-03-01")] {
            for birthday in [date("2004-02-29"), date("1990-01-01"), date("1990-12-31")] {
                assert!(next(birthday, today).0 >= today);
                windows(today, 366);
            }
        }
    }
}
