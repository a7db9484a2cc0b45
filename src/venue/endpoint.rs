//! REST endpoints that have a name: what jobs and `tickbus call` may ask a venue for.

/// A REST endpoint of one market.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Its name in jobs and on the command line.
    pub name: &'static str,
    /// What it gives, in a few words.
    pub about: &'static str,
    /// Path without the query.
    pub path: &'static str,
    /// Parameters that must be given.
    pub required: &'static [&'static str],
    /// Parameters that may be given.
    pub optional: &'static [&'static str],
    /// Whether it is signed by an account.
    pub signed: bool,
    /// What a call with these parameters costs of the venue's budget.
    pub weight: fn(params: &[(String, String)]) -> u32,
}

impl Endpoint {
    /// Checks the parameters of a call.
    ///
    /// # Errors
    /// Which one is missing or unknown, and what is allowed.
    pub fn check(&self, params: &[(String, String)]) -> Result<(), String> {
        let known = || self.required.iter().chain(self.optional);
        let missing = self.required.iter().find(|name| params.iter().all(|(given, _)| given != *name));
        if let Some(name) = missing {
            return Err(format!("{} needs the parameter {name}", self.name));
        }
        match params.iter().find(|(given, _)| known().all(|name| given != name)) {
            Some((given, _)) if known().next().is_none() => {
                Err(format!("{} takes no parameters, and {given:?} is given", self.name))
            }
            Some((given, _)) => {
                let allowed: Vec<&str> = known().copied().collect();
                Err(format!("{} has no parameter {given:?}; allowed: {}", self.name, allowed.join(", ")))
            }
            None => Ok(()),
        }
    }
}
