//! preprocessor_config.json and processor_config.json: the settings that a checkpoint was made with for
//! its pictures.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use loupe_preprocess::resize::{Backend, Filter};
use serde_json::Value;

/// The settings of an image processor, from whichever file a checkpoint keeps them in.
pub(crate) struct ProcessorFile {
    value: Value,
    file: &'static str,
    by_five: bool,
}

impl ProcessorFile {
    /// Reads processor_config.json or preprocessor_config.json; without either, every setting has
    /// the default of its class.
    pub(crate) fn read(checkpoint: &Checkpoint, config: &Value) -> Result<Self, LoadError> {
        const OLD: &str = "preprocessor_config.json";
        const NEW: &str = "processor_config.json";
        // 5.x writes one processor_config.json with everything, and reads it first.
        let nested = checkpoint.json(NEW)?.filter(|v| v.get("image_processor").is_some_and(Value::is_object));
        if let Some(value) = nested {
            return Ok(Self { value, file: NEW, by_five: true });
        }
        let value = checkpoint.json(OLD)?.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Ok(Self { value, file: OLD, by_five: written_by_five(config) })
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        let whole = Fields::new(&self.value, self.file);
        whole.object("image_processor").ok().flatten().unwrap_or(whole)
    }

    /// True when the checkpoint has no such file.
    pub(crate) fn is_absent(&self) -> bool {
        self.value.as_object().is_some_and(serde_json::Map::is_empty)
    }

    /// The class that prepares pictures, which must be one of `classes` or begin with one of them; the first
    /// one when the file names none.
    pub(crate) fn class(&self, classes: &[&str]) -> Result<String, LoadError> {
        let fields = self.fields();
        let named = match fields.text("image_processor_type")? {
            Some(name) => Some(name),
            None => fields.text("feature_extractor_type")?,
        };
        let class = named.or_else(|| classes.first().copied()).unwrap_or_default();
        if !classes.iter().any(|known| class.starts_with(known)) {
            let problem = format!("{class:?} does not prepare pictures for this family");
            return Err(fields.bad("image_processor_type", problem));
        }
        Ok(class.to_owned())
    }

    /// The filter that pictures are resized with; `default` in Pillow's numbering.
    pub(crate) fn filter(&self, default: usize) -> Result<Filter, LoadError> {
        let fields = self.fields();
        let number = fields.usize_or("resample", default)?;
        let filter = Filter::from_pil_constant(number as u64);
        filter.ok_or_else(|| fields.bad("resample", format!("{number} is not a filter")))
    }

    /// Refuses a file that switches off one of the steps that are always done, or switches on one that is not
    /// implemented; `optional` may be either.
    pub(crate) fn need_steps(&self, steps: &[&str], optional: &[&str]) -> Result<(), LoadError> {
        let fields = self.fields();
        for step in steps {
            if !fields.bool_or(step, true)? {
                return Err(fields.bad(step, "switching this off is not supported"));
            }
        }
        // Pictures are always made RGB.
        let known =
            |step: &str| step == "do_convert_rgb" || steps.contains(&step) || optional.contains(&step);
        for step in fields.names().filter(|name| name.starts_with("do_") && !known(name)) {
            if fields.bool_or(step, false)? {
                return Err(fields.bad(step, "this step is not implemented for this family"));
            }
        }
        Ok(())
    }

    /// Refuses a file that gives another side to the square input than the network has.
    pub(crate) fn need_side(&self, side: usize, edges: &[(&str, &str)]) -> Result<(), LoadError> {
        for (part, edge) in edges {
            // A number stands for both sides.
            if self.fields().get(part).is_some_and(Value::is_number) {
                if self.fields().usize(part)? != side {
                    return Err(self.fields().bad(part, format!("the model reads {side} × {side} pixels")));
                }
                continue;
            }
            let Some(size) = self.fields().object(part)? else { continue };
            let known = |name: &&str| edges.iter().any(|(p, edge)| p == part && edge == name);
            if let Some(odd) = size.names().find(|name| !known(name)) {
                let wanted: Vec<&str> =
                    edges.iter().filter(|(p, _)| p == part).map(|(_, edge)| *edge).collect();
                return Err(size.bad(odd, format!("this processor takes {}", wanted.join(" and "))));
            }
            if size.usize_or(edge, side)? != side {
                return Err(size.bad(edge, format!("the model reads {side} × {side} pixels")));
            }
        }
        Ok(())
    }

    /// The library whose resizing the class uses.
    pub(crate) fn backend(&self, class: &str) -> Backend {
        if class.ends_with("Pil") {
            Backend::Pillow
        } else if class.ends_with("Fast") || self.by_five {
            Backend::Torchvision
        } else {
            Backend::Pillow
        }
    }
}

/// Was config.json written by transformers 5 or later?
fn written_by_five(config: &Value) -> bool {
    let version = config.get("transformers_version").and_then(Value::as_str).unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 5)
}
