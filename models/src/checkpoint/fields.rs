//! Typed reading of settings files; every complaint names the file and the field.

use crate::error::LoadError;
use serde_json::Value;

/// An object of a settings file.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    value: &'a Value,
    file: &'static str,
    path: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(value: &'a Value, file: &'static str) -> Self {
        Self { value, file, path: String::new() }
    }

    pub(crate) fn bad(&self, field: &str, problem: impl Into<String>) -> LoadError {
        LoadError::Field { file: self.file, field: self.name(field), problem: problem.into() }
    }

    fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The value of `field`; `null` counts as absent.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.value.get(field).filter(|v| !v.is_null())
    }

    /// True when `field` is there and `null`.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.value.get(field).is_some_and(Value::is_null)
    }

    /// The object in `field`, when there is one.
    ///
    /// # Errors
    /// When there is something else.
    pub(crate) fn object(&self, field: &str) -> Result<Option<Fields<'a>>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.is_object() {
            true => Ok(Some(Fields { value, file: self.file, path: self.name(field) })),
            false => Err(self.bad(field, format!("{value} is not an object"))),
        }
    }

    /// The object in `field`, or an empty one: every setting then has the default of its class.
    ///
    /// # Errors
    /// When there is something else.
    pub(crate) fn object_or_defaults(&self, field: &str) -> Result<Fields<'a>, LoadError> {
        static EMPTY: Value = Value::Null;
        let none = || Fields { value: &EMPTY, file: self.file, path: self.name(field) };
        Ok(self.object(field)?.unwrap_or_else(none))
    }

    /// Names of all fields that are not `null`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let named = self.value.as_object().into_iter().flatten();
        named.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// Refuses settings that change what a model computes and are not implemented: each field may be absent or
    /// have the value beside it, which is JSON.
    ///
    /// # Errors
    /// Names the first field with another value.
    pub(crate) fn only(&self, neutral: &[(&str, &str)]) -> Result<(), LoadError> {
        for (field, value) in neutral {
            let Some(found) = self.get(field) else { continue };
            let wanted: Value = serde_json::from_str(value).unwrap_or(Value::Null);
            let equal = match (found.as_f64(), wanted.as_f64()) {
                (Some(a), Some(b)) => a == b,
                _ => *found == wanted,
            };
            if !equal {
                let found = found.to_string();
                let short: String = found.chars().take(60).collect();
                let allowed = if wanted.is_null() {
                    "it must be absent".to_owned()
                } else {
                    format!("only {value} is")
                };
                return Err(self.bad(field, format!("{short} is not supported; {allowed}")));
            }
        }
        Ok(())
    }

    pub(crate) fn usize_or(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        match self.get(field) {
            None => Ok(default),
            Some(v) => self.count(field, v),
        }
    }

    pub(crate) fn usize(&self, field: &str) -> Result<usize, LoadError> {
        let value = self.get(field).ok_or_else(|| self.bad(field, "missing, a whole number is needed"))?;
        self.count(field, value)
    }

    fn count(&self, field: &str, value: &Value) -> Result<usize, LoadError> {
        // 2³¹ bounds products of two sizes, so that shapes cannot overflow.
        let number = value.as_u64().filter(|n| *n <= 1 << 31);
        number.map(|n| n as usize).ok_or_else(|| self.bad(field, format!("{value} is not a size")))
    }

    /// A size that may not be zero.
    pub(crate) fn positive(&self, field: &str) -> Result<usize, LoadError> {
        self.usize(field)?;
        self.positive_or(field, 0)
    }

    /// A size that may not be zero; `default` when there is none.
    pub(crate) fn positive_or(&self, field: &str, default: usize) -> Result<usize, LoadError> {
        match self.usize_or(field, default)? {
            0 => Err(self.bad(field, "must be above 0")),
            n => Ok(n),
        }
    }

    pub(crate) fn f64_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value
            .as_f64()
            .filter(|v| v.is_finite())
            .ok_or_else(|| self.bad(field, format!("{value} is not a number")))
    }

    /// A number above zero: what is divided by, or a root is taken of.
    pub(crate) fn positive_f64_or(&self, field: &str, default: f64) -> Result<f64, LoadError> {
        match self.f64_or(field, default)? {
            n if n > 0.0 => Ok(n),
            n => Err(self.bad(field, format!("{n} is not above 0"))),
        }
    }

    pub(crate) fn bool_or(&self, field: &str, default: bool) -> Result<bool, LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.bad(field, format!("{value} is not true or false")))
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&'a str>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.bad(field, format!("{value} is not a text")))
    }

    /// A list of sizes.
    pub(crate) fn sizes(&self, field: &str) -> Result<Option<Vec<usize>>, LoadError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| self.bad(field, "not a list of whole numbers"))?;
        list.iter().map(|v| self.count(field, v)).collect::<Result<_, _>>().map(Some)
    }

    /// A list of `N` numbers; one number stands for all of them.
    pub(crate) fn numbers<const N: usize>(
        &self,
        field: &str,
        default: [f64; N],
    ) -> Result<[f64; N], LoadError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        if let Some(one) = value.as_f64() {
            return Ok([one; N]);
        }
        let list: Option<Vec<f64>> = value.as_array().and_then(|l| l.iter().map(Value::as_f64).collect());
        let wrong = || self.bad(field, format!("not a list of {N} numbers"));
        list.and_then(|l| <[f64; N]>::try_from(l).ok()).ok_or_else(wrong)
    }
}
