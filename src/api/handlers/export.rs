//! Contacts as the body of a response: a small file whole, a large one made while it is sent.

use std::io::{self, Read};
use std::sync::Arc;
use std::vec;

use crate::domain::contact::Contact;
use crate::formats::{Format, ics};
use crate::http::Body;
use crate::store::contacts::ContactRow;
use crate::store::{self, Store};

/// Contacts that are in memory at once. With the longest texts they take about 4 MiB.
const PAGE: i64 = 200;

/// The most bytes of a file that is sent whole, with its length, and so takes no stream.
const WHOLE: usize = 1 << 20;

/// The content of a file.
pub enum Document {
    /// All contacts, in a format.
    Contacts(Format),
    /// A yearly event for each birthday.
    Birthdays,
}

impl Document {
    /// The contacts behind this id, in the order of their ids.
    fn page(&self, store: &Store, user: i64, after: i64) -> Result<Vec<ContactRow>, store::Error> {
        match self {
            Document::Contacts(_) => store.contacts_after(user, after, PAGE),
            Document::Birthdays => store.birthdays_after(user, after, PAGE),
        }
    }

    fn contact(&self, contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
        match self {
            Document::Contacts(format) => format.contact(contact, is_first, out),
            Document::Birthdays => ics::event(contact, out),
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        match self {
            Document::Contacts(format) => format.end(out),
            Document::Birthdays => ics::end(out),
        }
    }
}

/// A file while it is sent: pages of contacts by id, each written into a small buffer as that empties. Between pages no
/// connection to the database is held, however slowly the client takes them. So it is no snapshot: a contact that changes
/// meanwhile is in it as it was or as it is, and every other contact is in it once.
struct Export {
    store: Arc<Store>,
    user: i64,
    document: Document,
    page: vec::IntoIter<ContactRow>,
    /// The last id that was read; 0 before the first.
    after: i64,
    /// Whether that was the last page.
    is_last: bool,
    /// Whether no contact has been written yet.
    is_first: bool,
    is_done: bool,
    buffer: Vec<u8>,
    /// How many bytes of the buffer have been given away.
    given: usize,
}

/// The file, which begins with what the buffer holds. If it is small it is made here, so that a database that is away causes a
/// 503 and no broken download. Of a large one the thread that sends it reads the rest, only as far as the client takes it: for a
/// HEAD, not at all.
pub fn body(store: &Arc<Store>, user: i64, document: Document, buffer: Vec<u8>) -> Result<Body, store::Error> {
    let mut export = Export {
        store: Arc::clone(store),
        user,
        document,
        page: Vec::new().into_iter(),
        after: 0,
        is_last: false,
        is_first: true,
        is_done: false,
        buffer,
        given: 0,
    };
    while export.buffer.len() <= WHOLE && !export.is_done {
        export.step()?;
    }
    let is_whole = export.buffer.len() <= WHOLE;
    Ok(if is_whole { Body::Bytes(export.buffer) } else { Body::Stream(Box::new(export)) })
}

impl Export {
    /// Puts the next contact into the buffer, or the end of the file.
    fn step(&mut self) -> Result<(), store::Error> {
        if self.page.len() == 0 && !self.is_last {
            let page = self.document.page(&self.store, self.user, self.after)?;
            self.after = page.last().map_or(self.after, |last| last.contact().id);
            self.is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            self.page = page.into_iter();
        }
        match self.page.next() {
            Some(row) => {
                let is_first = std::mem::take(&mut self.is_first);
                self.document.contact(&row.contact(), is_first, &mut self.buffer);
            }
            None => {
                self.document.end(&mut self.buffer);
                self.is_done = true;
            }
        }
        Ok(())
    }
}

impl Read for Export {
    /// An error ends the download without its last chunk, which tells the client that the file is not complete.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.buffer.len() {
            self.buffer.clear();
            // Not what was made before it turned out to be large.
            self.buffer.shrink_to(WHOLE / 8);
            self.given = 0;
        }
        while self.buffer.len() < out.len() && !self.is_done {
            self.step().map_err(io::Error::other)?;
        }
        let count = (&self.buffer[self.given..]).read(out)?;
        self.given += count;
        Ok(count)
    }
}
