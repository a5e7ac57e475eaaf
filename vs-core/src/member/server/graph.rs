//! Whom servers reach, as they report it, and the cliques that follow. The servers are numbered in
//! the order of their ids, and rows of bits say who reaches whom: a crowd of embedded servers looks
//! at all pairs again and again.

use alloc::vec;
use alloc::vec::Vec;

use crate::ident::ServerId;

/// Bits of a word of a row.
const WORD_BITS: usize = 64;

/// A set of servers, by their numbers.
#[derive(Clone, Debug)]
struct Row(Vec<u64>);

impl Row {
    fn new(servers: usize) -> Self {
        Self(vec![0; servers.div_ceil(WORD_BITS)])
    }

    fn set(&mut self, at: usize) {
        self.0[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    }

    fn clear(&mut self, at: usize) {
        self.0[at / WORD_BITS] &= !(1 << (at % WORD_BITS));
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1
    }

    /// Keeps those that `other` has, too.
    fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }

    /// Those that it has, ascending.
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < WORD_BITS).then_some(at * WORD_BITS + bit)
            })
        })
    }
}

/// The places in `ids` of those of `names` that are there, and the others. Both ascend.
pub(super) fn places<'a>(
    ids: &'a [ServerId],
    names: &'a [ServerId],
) -> impl Iterator<Item = Result<usize, ServerId>> + 'a {
    let mut from = 0;
    names.iter().map(move |name| {
        // In a full mesh all name all: the next one is nearly always the one that is looked for.
        let here = ids.get(from) == Some(name);
        let found = if here { Ok(0) } else { ids[from..].binary_search(name) };
        from += match found {
            Ok(at) => at + 1,
            Err(at) => at,
        };
        found.map(|_| from - 1).map_err(|_| *name)
    })
}

/// Whom each server of a component reaches.
#[derive(Debug)]
pub(super) struct Graph {
    /// Ascending.
    ids: Vec<ServerId>,
    /// Whom each reaches, by its number; none of a server that has not reported.
    reached: Vec<Option<Row>>,
}

impl Graph {
    /// Of the servers `ids`, which ascend; none has reported yet.
    pub(super) fn new(ids: Vec<ServerId>) -> Self {
        let reached = vec![None; ids.len()];
        Self { ids, reached }
    }

    fn place(&self, server: ServerId) -> Option<usize> {
        self.ids.binary_search(&server).ok()
    }

    /// `server` reaches those of `names`, which ascend, that are in the graph, besides those that
    /// it is known to reach.
    pub(super) fn reach(&mut self, server: ServerId, names: &[ServerId]) {
        let Some(at) = self.place(server) else { return };
        let row = self.reached[at].get_or_insert_with(|| Row::new(self.ids.len()));
        places(&self.ids, names).flatten().for_each(|name| row.set(name));
    }

    /// Whether two servers reach each other. If one of them has not reported whom it reaches, the
    /// report of the other counts.
    pub(super) fn linked(&self, a: ServerId, b: ServerId) -> bool {
        let (Some(a), Some(b)) = (self.place(a), self.place(b)) else { return false };
        self.are_linked(a, b)
    }

    fn are_linked(&self, a: usize, b: usize) -> bool {
        let reaches = |a: usize, b| self.reached[a].as_ref().map(|row| row.has(b));
        match (reaches(a, b), reaches(b, a)) {
            (Some(there), Some(back)) => there && back,
            (report, None) | (None, report) => report == Some(true),
        }
    }

    /// For each server, those that it is linked with.
    fn links(&self) -> Vec<Row> {
        let mut links = vec![Row::new(self.ids.len()); self.ids.len()];
        for (a, row) in self.reached.iter().enumerate() {
            for b in row.iter().flat_map(Row::iter).filter(|&b| self.are_linked(a, b)) {
                links[a].set(b);
                links[b].set(a);
            }
        }
        links
    }

    /// The mutually connected set of servers that `me` belongs to, ascending: cliques are formed
    /// greedily in the order of ids, and each server finds itself in one.
    pub(super) fn clique(&self, me: ServerId) -> Vec<ServerId> {
        let Some(me_at) = self.place(me) else { return Vec::from([me]) };
        let links = self.links();
        let mut left = Row::new(self.ids.len());
        (0..self.ids.len()).for_each(|server| left.set(server));
        loop {
            let (mut clique, mut fits) = (Vec::new(), left.clone());
            for server in left.iter() {
                if fits.has(server) {
                    clique.push(server);
                    fits.keep(&links[server]);
                }
            }
            if clique.is_empty() || clique.contains(&me_at) {
                return clique.into_iter().map(|server| self.ids[server]).collect();
            }
            clique.into_iter().for_each(|server| left.clear(server));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(list: &[u64]) -> Vec<ServerId> {
        list.iter().map(|&s| ServerId(s)).collect()
    }

    fn graph(list: &[(u64, &[u64])]) -> Graph {
        let named = list.iter().flat_map(|(server, reached)| reached.iter().chain([server]));
        let mut ids: Vec<ServerId> = named.map(|&server| ServerId(server)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut graph = Graph::new(ids);
        list.iter().for_each(|(s, reached)| graph.reach(ServerId(*s), &servers(reached)));
        graph
    }

    #[test]
    fn chain_of_servers_finds_same_cliques() {
        let clique = |me, list: &[(u64, &[u64])]| graph(list).clique(ServerId(me));
        // 1 - 2 - 3: each knows its own report and those of its neighbours.
        assert_eq!(clique(1, &[(1, &[2]), (2, &[1, 3])]), servers(&[1, 2]));
        let middle: [(u64, &[u64]); 3] = [(1, &[2]), (2, &[1, 3]), (3, &[2])];
        assert_eq!(clique(2, &middle), servers(&[1, 2]));
        assert_eq!(clique(3, &[(3, &[2]), (2, &[1, 3])]), servers(&[3]));
        assert_eq!(clique(7, &[(7, &[])]), servers(&[7]));
        assert_eq!(clique(8, &[(7, &[])]), servers(&[8]), "it is not in the graph");
        assert_eq!(clique(1, &[(1, &[2]), (2, &[])]), servers(&[1]), "2 does not reach 1");
    }

    /// More servers than a word has bits: 1 to 200 but 70, which reaches only 150.
    #[test]
    fn large_mesh_without_one_finds_others() {
        let all: Vec<u64> = (1..=200).filter(|id| *id != 70).collect();
        let list: Vec<(u64, &[u64])> = all.iter().map(|id| (*id, &all[..])).collect();
        let mut graph = graph(&list);
        assert_eq!(graph.clique(ServerId(150)), servers(&all));
        let mut ids = servers(&all);
        ids.insert(69, ServerId(70));
        graph = Graph::new(ids);
        list.iter().for_each(|(s, reached)| graph.reach(ServerId(*s), &servers(reached)));
        graph.reach(ServerId(70), &servers(&[150]));
        graph.reach(ServerId(150), &servers(&[70]));
        assert_eq!(graph.clique(ServerId(150)), servers(&all));
        assert_eq!(graph.clique(ServerId(70)), servers(&[70]));
        assert!(
            graph.linked(ServerId(70), ServerId(150)) && !graph.linked(ServerId(70), ServerId(1))
        );
    }

    #[test]
    fn places_found_and_missing_names_told() {
        let ids = servers(&[2, 3, 5, 9]);
        let found: Vec<_> = places(&ids, &servers(&[1, 3, 4, 5, 10])).collect();
        assert_eq!(found, [Err(ServerId(1)), Ok(1), Err(ServerId(4)), Ok(2), Err(ServerId(10))]);
    }
}
