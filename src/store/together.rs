//! What several calls ask for, asked for in one statement.

use postgres::Row;

use super::Error;

/// The outcome of each call; none for one that is left out.
pub(super) type Outcomes<T> = Vec<Option<Result<T, Error>>>;

/// The outcome for each of `asked`: of `one` where there is one, else of `all`, which may leave some out. Everything is done by
/// itself when Postgres says that the statement is wrong, since one of them may spoil it for the rest. Not after a lost
/// connection or a deadline: nobody knows then what was done.
pub(super) fn together<Q, G>(
    asked: &[Q],
    one: impl Fn(&Q) -> Result<G, Error>,
    all: impl FnOnce() -> Result<Outcomes<G>, Error>,
) -> Outcomes<G> {
    if let [single] = asked {
        return vec![Some(one(single))];
    }
    all().unwrap_or_else(|error| match error {
        Error::Unavailable(cause) => asked.iter().map(|_| Some(Err(Error::Unavailable(cause.clone())))).collect(),
        _ => asked.iter().map(|asked| Some(one(asked))).collect(),
    })
}

/// The rows of each of so many calls, in their order. Their last column is the place of the call, from 1.
pub(super) fn all_by_place(rows: Vec<Row>, calls: usize) -> Vec<Vec<Row>> {
    let mut placed = vec![Vec::new(); calls];
    for row in rows {
        let place: i64 = row.get(row.len() - 1);
        placed[place as usize - 1].push(row);
    }
    placed
}

/// The same, where a call has one row at most.
pub(super) fn by_place(rows: Vec<Row>, calls: usize) -> Vec<Option<Row>> {
    all_by_place(rows, calls).into_iter().map(|mut rows| rows.pop()).collect()
}
