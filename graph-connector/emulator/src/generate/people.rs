//! The people of the organisation and the outsiders they write to.

use crate::mail::view::Address;
use crate::random::{Stream, guid, key};

/// What a mailbox is for: `userPurpose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The mailbox of a person.
    User,
    /// A mailbox several people use.
    Shared,
    /// The calendar mailbox of a room.
    Room,
}

/// One user of the directory.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub id: String,
    pub display: String,
    pub given: String,
    pub surname: String,
    pub address: String,
    pub title: String,
    pub department: String,
    pub purpose: Purpose,
    pub enabled: bool,
}

const GIVEN: [(&str, &str); 32] = [
    ("Anna", "anna"),
    ("Zoë", "zoe"),
    ("Jürgen", "juergen"),
    ("Łukasz", "lukasz"),
    ("María", "maria"),
    ("Søren", "soren"),
    ("Björn", "bjorn"),
    ("Chloé", "chloe"),
    ("Peter", "peter"),
    ("Olena", "olena"),
    ("Marta", "marta"),
    ("Tom", "tom"),
    ("Aiko", "aiko"),
    ("Ravi", "ravi"),
    ("Nadia", "nadia"),
    ("Felix", "felix"),
    ("Ines", "ines"),
    ("Hugo", "hugo"),
    ("Clara", "clara"),
    ("Viktor", "viktor"),
    ("Elif", "elif"),
    ("Noor", "noor"),
    ("Petra", "petra"),
    ("Jonas", "jonas"),
    ("Grace", "grace"),
    ("Samir", "samir"),
    ("Ivana", "ivana"),
    ("Pavel", "pavel"),
    ("Lea", "lea"),
    ("Oscar", "oscar"),
    ("Mei", "mei"),
    ("Karl", "karl"),
];

const SURNAMES: [(&str, &str); 32] = [
    ("Müller", "mueller"),
    ("Novák", "novak"),
    ("García", "garcia"),
    ("Kowalska", "kowalska"),
    ("Lindström", "lindstrom"),
    ("O'Brien", "obrien"),
    ("Schmidt", "schmidt"),
    ("Dupont", "dupont"),
    ("Tanaka", "tanaka"),
    ("Rossi", "rossi"),
    ("Ivanova", "ivanova"),
    ("Petrov", "petrov"),
    ("Jensen", "jensen"),
    ("Weiß", "weiss"),
    ("Yılmaz", "yilmaz"),
    ("Smith", "smith"),
    ("Baker", "baker"),
    ("Costa", "costa"),
    ("Horváth", "horvath"),
    ("Nilsen", "nilsen"),
    ("Fischer", "fischer"),
    ("Moreau", "moreau"),
    ("Okafor", "okafor"),
    ("Haddad", "haddad"),
    ("Singh", "singh"),
    ("Larsen", "larsen"),
    ("Vogel", "vogel"),
    ("Keller", "keller"),
    ("Duarte", "duarte"),
    ("Marin", "marin"),
    ("Stone", "stone"),
    ("Chen", "chen"),
];

const DEPARTMENTS: [(&str, &str); 8] = [
    ("Sales", "Account Manager"),
    ("Finance", "Controller"),
    ("Engineering", "Engineer"),
    ("Support", "Support Specialist"),
    ("Legal", "Counsel"),
    ("Marketing", "Campaign Manager"),
    ("Operations", "Planner"),
    ("Human Resources", "Recruiter"),
];

/// User number `index` of the organisation.
pub(crate) fn person(seed: u64, index: u64, domain: &str) -> Person {
    let mut s = Stream::new(&[seed, index, 31]);
    // Walks through all pairs before a name repeats.
    let pair = (index * 37 + seed % 1024) % 1024;
    let (given, given_ascii) = GIVEN[(pair % 32) as usize];
    let (surname, surname_ascii) = SURNAMES[((pair / 32 + pair) % 32) as usize];
    let (department, title) = s.pick(&DEPARTMENTS);
    let round = index / 1024;
    let suffix = if round == 0 {
        String::new()
    } else {
        (round + 1).to_string()
    };
    Person {
        id: guid(&[seed, index, 32]),
        display: format!(
            "{given} {surname}{}",
            if round == 0 {
                String::new()
            } else {
                format!(" {}", round + 1)
            }
        ),
        given: given.into(),
        surname: surname.into(),
        address: format!("{given_ascii}.{surname_ascii}{suffix}@{domain}"),
        title: (*title).into(),
        department: (*department).into(),
        purpose: Purpose::User,
        enabled: true,
    }
}

/// Somebody outside of the organisation.
pub(crate) fn outsider(seed: u64, number: u64) -> Address {
    const DOMAINS: [&str; 6] = [
        "tailspin.example",
        "adatum.example",
        "nordwind.example",
        "alpine.example",
        "lucerne.example",
        "proseware.example",
    ];
    let k = key(&[seed, number % 97, 33]);
    let (given, g) = GIVEN[(k % 32) as usize];
    let (surname, s) = SURNAMES[((k >> 8) % 32) as usize];
    Address::new(
        format!("{given} {surname}"),
        format!("{g}.{s}@{}", DOMAINS[((k >> 16) % 6) as usize]),
    )
}
