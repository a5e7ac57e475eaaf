//! Rules of the algorithm that are left out, on the command line.

use vs_core::rule::Rule;

/// A rule by its name.
#[cfg(feature = "mutants")]
pub(crate) fn rule(name: &str) -> Result<Rule, String> {
    let found = Rule::ALL.into_iter().find(|r| format!("{r:?}").eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("there are {}", rules()))
}

fn rules() -> String {
    Rule::ALL.map(|rule| format!("{rule:?}")).join(", ")
}

/// What the help says about rules that are left out.
pub(crate) fn mutants() -> String {
    if cfg!(feature = "mutants") {
        return format!(
            "Rules: {}. Some show only in worlds that are made for them: see vs explore.",
            rules()
        );
    }
    format!(
        "A build with feature mutants (cargo build --release -p vs-cli --features mutants) has --leave-out RULE, which \
         leaves out a rule of the algorithm: {}.",
        rules()
    )
}
