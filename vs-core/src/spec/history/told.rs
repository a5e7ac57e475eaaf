//! A history that is not linearizable, for people.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use super::operation::{Operation, Request};
use super::search::Stuck;

/// The end of the longest order that was found, the operations of which none can be next, and who
/// wrote the values that they name.
pub(super) fn told(operations: &[&Operation], stuck: &Stuck) -> String {
    let Stuck { fit, last, refused } = stuck;
    let of = operations.iter().filter(|operation| operation.answer.is_some()).count();
    let mut told = format!("{fit} of {of} answers fit one order, which ends with");
    if last.is_empty() {
        told += "\n  nothing";
    }
    for position in last {
        told += &format!("\n  {}", operations[*position]);
    }
    told += "\nnone of these can be next:";
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for position in refused {
        let operation = operations[*position];
        told += &format!("\n  {operation}");
        named.extend(operation.answer.as_ref().and_then(|answer| answer.value.as_deref()));
    }
    for value in named {
        told += &format!("\n{value} was put by");
        let puts = |o: &&&Operation| matches!(&o.request, Request::Put(put) if put == value);
        let mut writers = operations.iter().filter(puts).peekable();
        if writers.peek().is_none() {
            told += "\n  nobody, or only by who was refused";
        }
        for writer in writers {
            told += &format!("\n  {writer}");
        }
    }
    told
}
