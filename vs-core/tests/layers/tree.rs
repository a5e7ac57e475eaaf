//! The modules of a package, and which file needs which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path as File;

use crate::source::{self, Path, Source};

/// A package's modules, read from its files.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The file of each module, by its path from the root.
    files: BTreeMap<Path, String>,
    sources: BTreeMap<Path, Source>,
    /// What each name that is imported into a module stands for.
    imported: BTreeMap<(Path, String), Path>,
}

/// Most re-exports on the way from a name to the item.
const REEXPORTS_MAX: usize = 16;

impl Tree {
    /// Reads the package whose root module is the file `root` in `dir`.
    pub(crate) fn read(dir: &File, root: &str) -> Self {
        let load = |file: &str| fs::read_to_string(dir.join(file)).ok();
        Self::from_files(root, &load)
    }

    /// Reads a package whose files `load` hands out.
    pub(crate) fn from_files(root: &str, load: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut tree = Self::default();
        tree.add(Vec::new(), root.to_owned(), load);
        tree.resolve_imports();
        tree
    }

    fn add(&mut self, path: Path, file: String, load: &dyn Fn(&str) -> Option<String>) {
        let text = load(&file).unwrap_or_else(|| panic!("{file} cannot be read"));
        let source = source::read(&text);
        for inside in &source.modules {
            let child: Path = path.iter().chain(inside).cloned().collect();
            let base = child.join("/");
            match [format!("{base}.rs"), format!("{base}/mod.rs")]
                .into_iter()
                .find(|f| load(f).is_some())
            {
                Some(file) => self.add(child, file, load),
                // A module inside this file.
                None => drop(self.files.insert(child, file.clone())),
            }
        }
        self.files.insert(path.clone(), file);
        self.sources.insert(path, source);
    }

    fn resolve_imports(&mut self) {
        for (path, source) in &self.sources {
            for import in &source.imports {
                let module: Path = path.iter().chain(&import.inside).cloned().collect();
                if let Some(target) = self.absolute(&module, &import.path) {
                    self.imported.insert((module, import.name.clone()), target);
                }
            }
        }
    }

    /// `path`, as it is written in `module`, from the root; nothing if it leads out of the package.
    fn absolute(&self, module: &Path, path: &Path) -> Option<Path> {
        let (mut base, rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => {
                let up = path.iter().take_while(|word| *word == "super").count();
                (module[..module.len().checked_sub(up)?].to_vec(), &path[up..])
            }
            first => {
                let mut child = module.clone();
                child.push(first.to_owned());
                if self.files.contains_key(&child) {
                    (module.clone(), &path[..])
                } else {
                    let target = self.imported.get(&(module.clone(), first.to_owned()))?;
                    (target.clone(), &path[1..])
                }
            }
        };
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module that has the item which `path` names, and whether `path` names a module itself.
    fn owner(&self, path: &Path, reexports: usize) -> (Path, bool) {
        assert!(reexports < REEXPORTS_MAX, "{} is re-exported in a circle", path.join("::"));
        let mut module = Path::new();
        for (n, word) in path.iter().enumerate() {
            let mut child = module.clone();
            child.push(word.clone());
            if self.files.contains_key(&child) {
                module = child;
            } else if let Some(target) = self.imported.get(&(module.clone(), word.clone())) {
                let mut target = target.clone();
                target.extend_from_slice(&path[n + 1..]);
                return self.owner(&target, reexports + 1);
            } else {
                return (module, false);
            }
        }
        (module, true)
    }

    /// For each file the files that it needs. A `mod` needs nothing, and a `pub use` only hands a
    /// name on: who uses the name needs the file that has the item.
    pub(crate) fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, source) in &self.sources {
            let file = &self.files[path];
            let own = needs.entry(file.clone()).or_default();
            let imports = source.imports.iter().filter(|import| !import.is_reexport);
            let imports = imports.map(|import| (&import.inside, &import.path));
            let paths = source.paths.iter().map(|(inside, path)| (inside, path));
            for (inside, named) in imports.chain(paths) {
                let module: Path = path.iter().chain(inside).cloned().collect();
                let Some(target) = self.absolute(&module, named) else { continue };
                let (owner, is_module) = self.owner(&target, 0);
                // A module by itself: what is needed of it stands where the name is used.
                if !is_module && self.files[&owner] != *file {
                    own.insert(self.files[&owner].clone());
                }
            }
            for (inside, named) in &source.globs {
                let module: Path = path.iter().chain(inside).cloned().collect();
                if let Some(target) = self.absolute(&module, named) {
                    own.insert(self.files[&self.owner(&target, 0).0].clone());
                }
            }
        }
        needs
    }

    /// The first word of each path.
    pub(crate) fn packages(&self) -> BTreeSet<String> {
        let of_source = |source: &Source| -> BTreeSet<String> {
            let imports = source.imports.iter().map(|import| &import.path);
            let paths = source.paths.iter().chain(&source.globs).map(|(_, path)| path);
            imports.chain(paths).filter_map(|path| path.first().cloned()).collect()
        };
        self.sources.values().flat_map(of_source).collect()
    }
}

/// Sets of files each of which needs every other, directly or not.
pub(crate) fn circles(needs: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(
                needs.get(file).into_iter().flatten().filter(|to| seen.insert((*to).clone())),
            );
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        needs.keys().map(|f| (f, reach(f))).collect();
    let circle = |from: &String| -> BTreeSet<String> {
        let back = |to: &&String| reached.get(to).is_some_and(|reached| reached.contains(from));
        reached[from].iter().filter(back).cloned().collect()
    };
    let circles: BTreeSet<_> = needs.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    circles.into_iter().collect()
}
