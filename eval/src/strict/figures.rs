//! Names of the figures of `strict`.

/// All questions.
pub const ACCURACY: &str = "accuracy";
/// Closed questions by the set's `answer_type`.
pub const CLOSED_BY_TYPE: &str = "closed accuracy (answer_type)";
/// Closed questions by the reference: it is yes or no.
pub const CLOSED_BY_GOLD: &str = "closed accuracy (yes/no)";
/// Questions with options.
pub const CHOICE: &str = "choice accuracy";
/// Questions with several right options: all of them are named and no other.
pub const LETTERS_EXACT: &str = "letter set exact";
/// Letters that reply and reference share, of those that either has.
pub const LETTERS_JACCARD: &str = "letter set Jaccard";
/// Share of the options on which reply and reference agree.
pub const LETTERS_RIGHT: &str = "letters right";
/// Exact match of open questions.
pub const OPEN_EXACT: &str = "open exact match";
/// Share of the reference's words that the reply holds.
pub const OPEN_RECALL: &str = "open recall";
/// Token F1 of open questions.
pub const OPEN_F1: &str = "open token F1";
/// Counting questions.
pub const COUNT: &str = "count accuracy";
/// Absolute error of a count.
pub const COUNT_ERROR: &str = "count absolute error";
/// Squared error of a count.
pub const COUNT_SQUARED: &str = "count squared error";
/// Every length and angle asked for lies within 10 % of its reference.
pub const WITHIN_TENTH: &str = "measurement within 10 %";
/// Mean absolute error of the lengths of a question.
pub const LENGTH_ERROR: &str = "length absolute error (mm)";
/// Mean absolute error of its angles.
pub const ANGLE_ERROR: &str = "angle absolute error (degrees)";
/// Mean of absolute error over reference.
pub const RELATIVE_ERROR: &str = "measurement relative error";
/// Mean IoU of the best one-to-one pairing of boxes.
pub const BOX_IOU: &str = "box IoU";
/// Questions with one reference box: the first box of the reply has IoU ≥ 0.5 with it.
pub const ACC_50: &str = "Acc@0.5 (one box)";
/// Dice of the united boxes, mean over the reference's labels.
pub const BOX_DICE: &str = "box mDice";
/// Share of the reference's points with a point of the reply of their own within 10 pixels.
pub const POINT_HIT: &str = "point hit";
/// Mean distance of one-to-one pairs of points, in source pixels.
pub const POINT_DISTANCE: &str = "point distance (px)";
/// F1 of boxes at IoU ≥ 0.5, or of points within 10 pixels.
pub const REGION_F1: &str = "region F1";
