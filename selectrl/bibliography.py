"""The papers of the registered parts, by the short form under which ``paper=`` names them.

Uncertain fields are left out. This module imports no other room, so that any room may read it.
"""

from __future__ import annotations

import textwrap

import attrs

WIDTH = 79


@attrs.frozen
class Paper:
    """An entry of the bibliography.

    Attributes:
        key: its BibTeX key.
        short: its short form in ``paper=``, for example ``Gao et al., NeurIPS 2023``.
        title: its title; braces keep capitals.
        author: BibTeX's list of authors; empty if unknown.
        venue: conference or journal; empty for a paper on arXiv only.
        year: year of publication.
        note: a remark, for example the arXiv number.
    """

    key: str
    short: str
    title: str
    author: str
    venue: str
    year: int
    note: str = ""

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX, no line wider than 79 characters."""
        fields = {
            "title": self.title,
            "author": self.author,
            "booktitle": self.venue,
            "year": str(self.year),
            "note": self.note,
        }
        return bibtex_entry("inproceedings" if self.venue else "misc", self.key, fields)


def bibtex_entry(kind: str, key: str, fields: dict[str, str]) -> str:
    """Return a BibTeX entry; empty fields are left out.

    Args:
        kind: ``inproceedings``, ``misc``, …
        key: its key.
        fields: values by name.
    """
    lines = []
    for name, value in fields.items():
        if value:
            head = f"  {name:<9} = {{"
            text = textwrap.wrap(f"{value}}},", WIDTH - len(head), break_long_words=False, break_on_hyphens=False)
            lines.append(head + f"\n{' ' * len(head)}".join(text))
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


ICML = "International Conference on Machine Learning"
ICLR = "International Conference on Learning Representations"
NEURIPS = "Advances in Neural Information Processing Systems"
AAAI = "AAAI Conference on Artificial Intelligence"

PAPERS = (
    Paper(
        "select2025",
        "SELECT, AAMAS 2025",
        "{SELECT}",
        "",
        "International Conference on Autonomous Agents and Multiagent Systems",
        2025,
        "Extended abstract",
    ),
    Paper(
        "csro2023",
        "Gao et al., NeurIPS 2023",
        "Context Shift Reduction for Offline Meta-Reinforcement Learning",
        "Gao, Yunkai and Zhang, Rui and Guo, Jiaming and Wu, Fan and Yi, Qi and Peng, Shaohui and Lan, Siming and "
        "Chen, Ruizhi and Du, Zidong and Hu, Xing and Guo, Qi and Li, Ling and Chen, Yunji",
        NEURIPS,
        2023,
    ),
    Paper(
        "focal2021",
        "Li, Yang & Luo, ICLR 2021",
        "{FOCAL}: Efficient Fully-Offline Meta-Reinforcement Learning via Distance Metric Learning and Behavior "
        "Regularization",
        "Li, Lanqing and Yang, Rui and Luo, Dijun",
        ICLR,
        2021,
    ),
    Paper(
        "pearl2019",
        "Rakelly et al., ICML 2019",
        "Efficient Off-Policy Meta-Reinforcement Learning via Probabilistic Context Variables",
        "Rakelly, Kate and Zhou, Aurick and Finn, Chelsea and Levine, Sergey and Quillen, Deirdre",
        ICML,
        2019,
    ),
    Paper(
        "corro2022",
        "Yuan & Lu, ICML 2022",
        "Robust Task Representations for Offline Meta-Reinforcement Learning via Contrastive Learning",
        "Yuan, Haoqi and Lu, Zongqing",
        ICML,
        2022,
    ),
    Paper(
        "borel2021",
        "Dorfman, Shenfeld & Tamar, NeurIPS 2021",
        "Offline Meta Reinforcement Learning: Identifiability Challenges and Effective Data Collection Strategies",
        "Dorfman, Ron and Shenfeld, Idan and Tamar, Aviv",
        NEURIPS,
        2021,
    ),
    Paper(
        "varibad2020",
        "Zintgraf et al., ICLR 2020",
        "{VariBAD}: A Very Good Method for {Bayes}-Adaptive Deep {RL} via Meta-Learning",
        "Zintgraf, Luisa and Shiarlis, Kyriacos and Igl, Maximilian and Schulze, Sebastian and Gal, Yarin and "
        "Hofmann, Katja and Whiteson, Shimon",
        ICLR,
        2020,
    ),
    Paper(
        "idaq2023",
        "Wang et al., ICML 2023",
        "Offline Meta Reinforcement Learning with In-Distribution Online Adaptation",
        "Wang, Jianhao and Zhang, Jin and Jiang, Haozhe and Zhang, Junyu and Wang, Liwei and Zhang, Chongjie",
        ICML,
        2023,
    ),
    Paper(
        "gentle2024",
        "Zhou et al., AAAI 2024",
        "Generalizable Task Representation Learning for Offline Meta-Reinforcement Learning with Data Limitations",
        "Zhou, Renzhe and Gao, Chen-Xiao and Zhang, Zongzhang and Yu, Yang",
        AAAI,
        2024,
    ),
    Paper(
        "unicorn2024",
        "Li et al., NeurIPS 2024",
        "Towards an Information Theoretic Framework of Context-Based Offline Meta-Reinforcement Learning",
        "Li, Lanqing and Zhang, Hai and Zhang, Xinyu and Zhu, Shatong and Yu, Yang and Zhao, Junqiao and "
        "Heng, Pheng-Ann",
        NEURIPS,
        2024,
    ),
    Paper(
        "amago2024",
        "Grigsby, Fan & Zhu, ICLR 2024",
        "{AMAGO}: Scalable In-Context Reinforcement Learning for Adaptive Agents",
        "Grigsby, Jake and Fan, Linxi and Zhu, Yuke",
        ICLR,
        2024,
    ),
    Paper(
        "ccm2021",
        "Fu et al., AAAI 2021",
        "Towards Effective Context for Meta-Reinforcement Learning: An Approach Based on Contrastive Learning",
        "Fu, Haotian and Tang, Hongyao and Hao, Jianye and Chen, Chen and Feng, Xidong and Li, Dong and Liu, Wulong",
        AAAI,
        2021,
    ),
    Paper(
        "sac2018",
        "Haarnoja et al., ICML 2018",
        "Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement Learning with a Stochastic Actor",
        "Haarnoja, Tuomas and Zhou, Aurick and Abbeel, Pieter and Levine, Sergey",
        ICML,
        2018,
    ),
    Paper(
        "td3_2018",
        "Fujimoto, van Hoof & Meger, ICML 2018",
        "Addressing Function Approximation Error in Actor-Critic Methods",
        "Fujimoto, Scott and van Hoof, Herke and Meger, David",
        ICML,
        2018,
    ),
    Paper(
        "td3bc2021",
        "Fujimoto & Gu, NeurIPS 2021",
        "A Minimalist Approach to Offline Reinforcement Learning",
        "Fujimoto, Scott and Gu, Shixiang Shane",
        NEURIPS,
        2021,
    ),
    Paper(
        "brac2019",
        "Wu, Tucker & Nachum, 2019",
        "Behavior Regularized Offline Reinforcement Learning",
        "Wu, Yifan and Tucker, George and Nachum, Ofir",
        "",
        2019,
        "arXiv:1911.11361",
    ),
    Paper(
        "wpc2023",
        "Peng et al., AAAI 2023",
        "Weighted Policy Constraints for Offline Reinforcement Learning",
        "Peng, Zhiyong and Han, Changlin and Liu, Yadong and Zhou, Zongtan",
        AAAI,
        2023,
    ),
    Paper(
        "iql2022",
        "Kostrikov, Nair & Levine, ICLR 2022",
        "Offline Reinforcement Learning with Implicit {Q}-Learning",
        "Kostrikov, Ilya and Nair, Ashvin and Levine, Sergey",
        ICLR,
        2022,
    ),
    Paper(
        "awr2019",
        "Peng et al., 2019",
        "Advantage-Weighted Regression: Simple and Scalable Off-Policy Reinforcement Learning",
        "Peng, Xue Bin and Kumar, Aviral and Zhang, Grace and Levine, Sergey",
        "",
        2019,
        "arXiv:1910.00177",
    ),
    Paper(
        "awac2020",
        "Nair et al., 2020",
        "{AWAC}: Accelerating Online Reinforcement Learning with Offline Datasets",
        "Nair, Ashvin and Gupta, Abhishek and Dalal, Murtaza and Levine, Sergey",
        "",
        2020,
        "arXiv:2006.09359",
    ),
    Paper(
        "crr2020",
        "Wang et al., NeurIPS 2020",
        "Critic Regularized Regression",
        "Wang, Ziyu and Novikov, Alexander and Zolna, Konrad and Springenberg, Jost Tobias and Reed, Scott and "
        "Shahriari, Bobak and Siegel, Noah and Merel, Josh and Gulcehre, Caglar and Heess, Nicolas and "
        "de Freitas, Nando",
        NEURIPS,
        2020,
    ),
    Paper(
        "bail2020",
        "Chen et al., NeurIPS 2020",
        "{BAIL}: Best-Action Imitation Learning for Batch Deep Reinforcement Learning",
        "Chen, Xinyue and Zhou, Zijian and Wang, Zheng and Wang, Che and Wu, Yanqiu and Ross, Keith",
        NEURIPS,
        2020,
    ),
    Paper(
        "rem2020",
        "Agarwal, Schuurmans & Norouzi, ICML 2020",
        "An Optimistic Perspective on Offline Reinforcement Learning",
        "Agarwal, Rishabh and Schuurmans, Dale and Norouzi, Mohammad",
        ICML,
        2020,
    ),
    Paper(
        "edac2021",
        "An et al., NeurIPS 2021",
        "Uncertainty-Based Offline Reinforcement Learning with Diversified {Q}-Ensemble",
        "An, Gaon and Moon, Seungyong and Kim, Jang-Hyun and Song, Hyun Oh",
        NEURIPS,
        2021,
    ),
)


def find_papers(paper: str) -> tuple[Paper, ...] | None:
    """Return the entries that a part's ``paper`` names, several separated by ``"; "``; None if any of them is unknown.

    Args:
        paper: short forms, as in a part's registration.
    """
    papers = {entry.short: entry for entry in PAPERS}
    names = paper.split("; ")
    return tuple(papers[name] for name in names) if all(name in papers for name in names) else None
