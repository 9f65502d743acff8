//! The structures that label maps know.

/// A structure; its number is the value in label maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Label {
    Background,
    Body,
    Bone,
    LeftLung,
    RightLung,
    Heart,
    Aorta,
    Liver,
    Spleen,
    LeftKidney,
    RightKidney,
    Stomach,
    Brain,
    WhiteMatter,
    LeftVentricle,
    RightVentricle,
    Skull,
    Spine,
    OpticDisc,
    Macula,
    Vessel,
    Gallbladder,
}

/// Number of labels, background included.
pub const LABELS: usize = 22;

const ALL: [Label; LABELS] = [
    Label::Background,
    Label::Body,
    Label::Bone,
    Label::LeftLung,
    Label::RightLung,
    Label::Heart,
    Label::Aorta,
    Label::Liver,
    Label::Spleen,
    Label::LeftKidney,
    Label::RightKidney,
    Label::Stomach,
    Label::Brain,
    Label::WhiteMatter,
    Label::LeftVentricle,
    Label::RightVentricle,
    Label::Skull,
    Label::Spine,
    Label::OpticDisc,
    Label::Macula,
    Label::Vessel,
    Label::Gallbladder,
];

impl Label {
    /// Every label, in the order of their numbers.
    pub const fn all() -> &'static [Label; LABELS] {
        &ALL
    }

    /// The label with this number; background for a number that none has.
    pub fn from_index(index: usize) -> Label {
        ALL.get(index).copied().unwrap_or(Label::Background)
    }

    /// English name, as questions use it.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Background => "background",
            Label::Body => "body",
            Label::Bone => "bone",
            Label::LeftLung => "left lung",
            Label::RightLung => "right lung",
            Label::Heart => "heart",
            Label::Aorta => "aorta",
            Label::Liver => "liver",
            Label::Spleen => "spleen",
            Label::LeftKidney => "left kidney",
            Label::RightKidney => "right kidney",
            Label::Stomach => "stomach",
            Label::Brain => "brain",
            Label::WhiteMatter => "white matter",
            Label::LeftVentricle => "left ventricle",
            Label::RightVentricle => "right ventricle",
            Label::Skull => "skull",
            Label::Spine => "spine",
            Label::OpticDisc => "optic disc",
            Label::Macula => "macula",
            Label::Vessel => "vessel",
            Label::Gallbladder => "gallbladder",
        }
    }

    /// Chinese name.
    pub const fn name_zh(self) -> &'static str {
        match self {
            Label::Background => "背景",
            Label::Body => "身体",
            Label::Bone => "骨骼",
            Label::LeftLung => "左肺",
            Label::RightLung => "右肺",
            Label::Heart => "心脏",
            Label::Aorta => "主动脉",
            Label::Liver => "肝脏",
            Label::Spleen => "脾脏",
            Label::LeftKidney => "左肾",
            Label::RightKidney => "右肾",
            Label::Stomach => "胃",
            Label::Brain => "大脑",
            Label::WhiteMatter => "白质",
            Label::LeftVentricle => "左侧脑室",
            Label::RightVentricle => "右侧脑室",
            Label::Skull => "颅骨",
            Label::Spine => "脊柱",
            Label::OpticDisc => "视盘",
            Label::Macula => "黄斑",
            Label::Vessel => "血管",
            Label::Gallbladder => "胆囊",
        }
    }

    /// How much of the scene's texture the structure shows.
    pub(crate) const fn texture(self) -> f32 {
        match self {
            Label::Background => 0.0,
            Label::LeftLung | Label::RightLung => 2.0,
            Label::LeftVentricle | Label::RightVentricle | Label::Gallbladder => 0.2,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_agree() {
        for (i, label) in Label::all().iter().enumerate() {
            assert_eq!(*label as usize, i);
        }
    }
}
