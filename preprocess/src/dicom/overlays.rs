//! Overlay planes (PS3.3 C.9.2), which are announced and not drawn.

use loupe_core::words::counted;
use loupe_dicom::Tag;
use loupe_dicom::object::Dataset;

/// That the file has overlays, in words; `None` without any.
pub(super) fn announcement(data: &Dataset) -> Option<String> {
    // Overlay Rows or Overlay Data of the repeating groups 6000 to 601E.
    let has = |group: &u16| [0x0010, 0x3000].iter().any(|e| data.get(Tag(*group, *e)).is_some());
    let count = (0x6000..=0x601E).step_by(2).filter(has).count();
    (count > 0).then(|| format!("{} (60xx) not drawn", counted(count, "overlay plane")))
}
