//! Text in the pixels, as far as the attributes tell.

use crate::object::Dataset;
use dicom_dictionary_std::tags;

/// Says whether pixels may show names: the attribute, else kinds of images that usually do.
pub fn burned_in_text(data: &Dataset) -> Option<&'static str> {
    match data.text(tags::BURNED_IN_ANNOTATION).as_deref() {
        Some("YES") => return Some("the file says that text is burned into the pixels"),
        Some("NO") => return None,
        _ => {}
    }
    let modality = data.text(tags::MODALITY).unwrap_or_default();
    let secondary = data.text(tags::CONVERSION_TYPE).is_some();
    let derived = data.text(tags::IMAGE_TYPE).is_some_and(|t| t.contains("SCREEN") || t.contains("SAVE"));
    if secondary
        || derived
        || matches!(modality.as_str(), "US" | "IVUS" | "SC" | "OT" | "ES" | "XC" | "GM" | "SM")
    {
        return Some("images of this kind often show names or dates in the pixels");
    }
    None
}
