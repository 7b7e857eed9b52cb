//! Triage notes, written for this example: no patient wrote them, and no nurse.

/// A note, and how urgent its author meant it.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// The patient's number, from 1.
    pub patient: u32,
    /// What the note says.
    pub text: &'static str,
    /// Whether its author meant it to be urgent.
    pub is_meant_urgent: bool,
}

/// What the language model is asked of a note. It stands in the record as it was asked, so that it can be asked again.
#[must_use]
pub fn prompt(note: &Note) -> String {
    format!("Stroke: urgent\nSore throat: routine\nBroken leg: urgent\nNew glasses: routine\n{}:", note.text)
}

/// The notes, urgent and routine by turns.
pub const NOTES: [Note; 8] = [
    urgent(1, "Chest pain and sweating for an hour"),
    routine(2, "Repeat prescription for hay fever tablets"),
    urgent(3, "Left arm is numb, speech is slurred"),
    routine(4, "Yearly check of blood pressure"),
    urgent(5, "Took a whole box of paracetamol tonight"),
    routine(6, "Mild cold for two days, no fever"),
    urgent(7, "Baby with fever, floppy and hard to wake"),
    routine(8, "Letter for the gym"),
];

const fn urgent(patient: u32, text: &'static str) -> Note {
    Note { patient, text, is_meant_urgent: true }
}

const fn routine(patient: u32, text: &'static str) -> Note {
    Note { patient, text, is_meant_urgent: false }
}
