//! The 4,870 résumés of `data/resumes.csv`, each as a text.
//!
//! *Guarantees*: a text says what stands on the résumé and what it applies for; it has no name, race or sex, and the same facts give
//! the same text. `train.py` writes the same texts: a test compares the digest of all of them.

use anyhow::{Result, bail};
use example_desk::table::Row;

use crate::study;

/// One résumé that was sent to an employer in 2001 or 2002.
#[derive(Clone, Debug)]
pub struct Resume {
    /// Its number in the data, from 1.
    pub number: u32,
    /// What the model reads.
    pub text: String,
    /// Whether the employer called back.
    pub called_back: bool,
}

/// Every résumé.
///
/// # Errors
/// If the data are not there, or not as the texts need them.
pub fn load() -> Result<Vec<Resume>> {
    let table = study::table("resumes.csv")?;
    table
        .rows()
        .map(|row| {
            Ok(Resume {
                number: row.number("resume")?,
                text: text_of(&row)?,
                called_back: row.says("callback")?,
            })
        })
        .collect()
}

fn text_of(row: &Row<'_>) -> Result<String> {
    let years: u32 = row.number("years_experience")?;
    let sentences = [
        Some(format!("Application as {}.", job(row.cell("job")?)?)),
        Some(format!("Education: {}.", college(row.cell("years_college")?)?)),
        row.says("worked_in_school")?.then(|| "Worked while at school.".to_owned()),
        row.says("honors")?.then(|| "Honors and awards.".to_owned()),
        Some(format!(
            "Work experience: {years} {}, {} gaps.",
            if years == 1 { "year" } else { "years" },
            if row.says("gaps")? { "with" } else { "without" }
        )),
        row.says("military")?.then(|| "Served in the military.".to_owned()),
        skills(row.says("computer_skills")?, row.says("special_skills")?).map(str::to_owned),
        row.says("volunteer")?.then(|| "Volunteer work in the community.".to_owned()),
        Some(format!("Contact by {}.", if row.says("email")? { "e-mail or telephone" } else { "telephone" })),
    ];
    Ok(sentences.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn job(code: &str) -> Result<&'static str> {
    Ok(match code {
        "clerical" => "office clerk",
        "manager" => "manager",
        "retail_sales" => "retail sales clerk",
        "sales_rep" => "sales representative",
        "secretary" => "secretary",
        "supervisor" => "office supervisor",
        other => bail!("there is no job {other}"),
    })
}

fn college(years: &str) -> Result<&'static str> {
    Ok(match years {
        "0" => "high school",
        "1" => "one year of college, no degree",
        "2" => "two years of college, no degree",
        "3" => "three years of college, no degree",
        "4" => "four years of college, with a degree",
        other => bail!("nobody has {other} years of college"),
    })
}

const fn skills(computer: bool, special: bool) -> Option<&'static str> {
    match (computer, special) {
        (true, true) => Some("Skills: computer and special skills."),
        (true, false) => Some("Skills: computer skills."),
        (false, true) => Some("Skills: special skills."),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_becomes_the_text_that_it_should() {
        let resumes = load().unwrap();
        assert_eq!(resumes.len(), 4870);
        assert_eq!(resumes.iter().filter(|resume| resume.called_back).count(), 392);
        assert_eq!(
            resumes[0].text,
            "Application as office supervisor. Education: four years of college, with a degree. \
             Work experience: 6 years, with gaps. Skills: computer skills. Contact by telephone."
        );
        assert_eq!(
            resumes[1].text,
            "Application as office supervisor. Education: three years of college, no degree. Worked while at school. \
             Work experience: 6 years, without gaps. Served in the military. Skills: computer skills. \
             Volunteer work in the community. Contact by e-mail or telephone."
        );
        assert!(resumes.iter().any(|resume| resume.text.contains(" 1 year, ")));
    }
}
