//! Tables of things that multiply: families, data sets, metrics, profiles, protocols, recipes, exporters. Each
//! is a folder with one file a thing and one line a file; they all have this one shape.

use crate::words::did_you_mean;
use thiserror::Error;

/// Something with a name on the command line and in tables.
pub trait Named {
    /// The name.
    fn name(&self) -> &str;
}

impl<T: Named + ?Sized> Named for &T {
    fn name(&self) -> &str {
        (**self).name()
    }
}

/// The files of a folder, each with what it defines; a file that defines nothing is a shared part.
#[derive(Debug)]
pub struct Registry<T: 'static> {
    /// What the things are called, for messages: `metric`, `data set`.
    pub kind: &'static str,
    /// The `loupe list` word that names them all.
    pub listed_as: &'static str,
    /// File names without their ending, with the entries of each.
    pub files: &'static [(&'static str, &'static [T])],
}

/// Nothing has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no {kind} is called {name:?}{meant} (`loupe list {listed_as}` names them all)")]
pub struct UnknownName {
    kind: &'static str,
    listed_as: &'static str,
    name: String,
    meant: String,
}

impl<T: Named> Registry<T> {
    /// Everything, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &'static T> + use<T> {
        self.files.iter().flat_map(|(_, entries)| entries.iter())
    }

    /// The names, in the order of the table.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<T> {
        self.iter().map(Named::name)
    }

    /// The thing of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&'static T> {
        self.iter().find(|entry| entry.name() == name)
    }

    /// The thing of that name.
    ///
    /// # Errors
    /// When there is none; the message has the nearest name.
    pub fn by_name(&self, name: &str) -> Result<&'static T, UnknownName> {
        self.get(name).ok_or_else(|| self.unknown(name))
    }

    /// Says that nothing has that name.
    pub fn unknown(&self, name: &str) -> UnknownName {
        UnknownName {
            kind: self.kind,
            listed_as: self.listed_as,
            name: name.to_owned(),
            meant: did_you_mean(name, self.names()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[derive(Debug)]
    struct Fruit(&'static str);

    impl Named for Fruit {
        fn name(&self) -> &str {
            self.0
        }
    }

    static FRUIT: Registry<Fruit> = Registry {
        kind: "fruit",
        listed_as: "fruits",
        files: &[("pome", &[Fruit("apple"), Fruit("pear")]), ("shared", &[]), ("stone", &[Fruit("plum")])],
    };

    #[test]
    fn names_are_found_in_order_and_slips_are_mended() {
        assert_eq!(FRUIT.names().collect::<Vec<_>>(), ["apple", "pear", "plum"]);
        assert_eq!(FRUIT.by_name("pear").unwrap().0, "pear");
        let message = FRUIT.by_name("Aple").unwrap_err().to_string();
        assert_eq!(
            message,
            "no fruit is called \"Aple\"; did you mean \"apple\"? (`loupe list fruits` names them all)"
        );
    }
}
