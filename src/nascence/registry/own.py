"""Everything that this package gives a name to."""

from typing import Any

from nascence.registry.entry import Entry


def _own(kind: str, module: str, *rows: tuple[str, ...], **keywords: Any) -> list[Entry]:
    """Entries of one module: of each its name, attribute, line and paper."""
    return [
        Entry(kind, name, f"{module}:{attribute}", line, paper[0] if paper else "", keywords)
        for name, attribute, line, *paper in rows
    ]


OWN: tuple[Entry, ...] = (
    *_own(
        "space",
        "nascence.spaces",
        ("darts", "Darts", "normal and reduction cells", "Liu et al., ICLR 2019"),
        (
            "elastic-mobile",
            "ElasticMobile",
            "MobileNetV3 blocks that are slices of one another",
            "Cai et al., ICLR 2020",
        ),
        ("gan", "GeneratorSpace", "generators of images", "Gong et al., ICCV 2019"),
        ("mobile", "Mobile", "inverted residuals in 21 blocks", "Cai, Zhu and Han, ICLR 2019"),
        ("nb201", "NB201", "15,625 cells of six edges", "Dong and Yang, ICLR 2020"),
        ("shufflenet", "ShuffleNetSpace", "20 blocks, four choices each", "Guo et al., ECCV 2020"),
        ("small", "SmallSpace", "1,296 cells of four edges"),
        ("staged", "StagedSpace", "stem, stages of width, depth and block, fast on processors"),
    ),
    *_own(
        "table",
        "nascence.data",
        (
            "accel-nasbench",
            "accel_nasbench",
            "5,123 MnasNet-like networks on ImageNet, with latencies on two FPGAs",
        ),
        ("nasbench-macro", "nasbench_macro", "6,561 macro networks on CIFAR-10"),
        (
            "nats-size",
            "nats_size",
            "32,768 widths of five layers on CIFAR-10",
            "Dong et al., TPAMI 2021",
        ),
        ("nb201", "nb201", "15,625 cells on three data sets", "Dong and Yang, ICLR 2020"),
    ),
    *_own(
        "strategy",
        "nascence.search",
        (
            "crossover",
            "CrossoverEvolution",
            "generations of 50: mixtures and mutants of the ten best, under a limit",
            "Guo et al. (SPOS), ECCV 2020",
        ),
        (
            "evolution",
            "Evolution",
            "tournament, mutation, the oldest leaves: population 10, sample 3",
            "Real et al., AAAI 2019",
        ),
        (
            "la-mcts",
            "LaMCTS",
            "tree of two clusters and a support-vector boundary; also for a `Box` of real vectors",
            "Wang et al., NeurIPS 2020",
        ),
        (
            "lanas",
            "LaNAS",
            "tree of least-squares splits, upper confidence bounds",
            "Wang et al., TPAMI 2021",
        ),
        (
            "local-search",
            "LocalSearch",
            "to the best neighbour (or the first better one), with restarts",
            "White et al., UAI 2021",
        ),
        ("nsga2", "NSGA2", "Optuna's NSGA-II, which learns of the costs too", "Deb et al., 2002"),
        (
            "predictor",
            "PredictorSearch",
            "the best by a predictor of accuracy that is fitted on the scores so far, in turns",
            "Wen et al., ECCV 2020; Cai et al. (Once-for-All), ICLR 2020",
        ),
        ("random", "RandomSearch", "uniform"),
        (
            "reinforce",
            "Reinforce",
            "one softmax for each decision, learned by its policy gradient with a moving baseline",
            "Williams, 1992; Cai et al. (ProxylessNAS), ICLR 2019",
        ),
        ("tpe", "TPE", "Optuna's tree of Parzen estimators", "Bergstra et al., 2011"),
    ),
    *_own(
        "gradient strategy",
        "nascence.gradient",
        (
            "darts",
            "darts",
            "softmax of logits, learned on the other half of the images",
            "Liu et al., ICLR 2019",
        ),
        (
            "enas",
            "enas",
            "an LSTM draws the decisions; REINFORCE with a moving-average baseline and entropy",
            "Pham et al., ICML 2018",
        ),
        (
            "gdas",
            "gdas",
            "hard gates drawn with Gumbel noise, their derivative that of soft ones",
            "Dong and Yang, CVPR 2019",
        ),
        (
            "pc-darts",
            "pc_darts",
            "DARTS on a quarter of the channels, with a softmax over the edges into a node",
            "Xu et al., ICLR 2020",
        ),
        (
            "proxyless",
            "proxyless",
            "binary gates, compared two at a time; measured latency may count",
            "Cai, Zhu and Han, ICLR 2019",
        ),
        (
            "snas",
            "snas",
            "soft gates drawn with Gumbel noise; one loss and one batch for weights and logits",
            "Xie et al., ICLR 2019",
        ),
    ),
    *_own(
        "gradient strategy",
        "nascence.gradient",
        (
            "darts-2nd",
            "darts",
            "DARTS through one step of the weights, with a finite difference for the Hessian",
            "Liu et al., ICLR 2019, eq. 7 and 8",
        ),
        order=2,
    ),
    *_own(
        "once-for-all strategy",
        "nascence.supernets",
        (
            "ofa",
            "once_for_all",
            "trains a supernet whose networks work as they are, and searches it within limits",
            "Cai et al., ICLR 2020",
        ),
    ),
    *_own(
        "gan strategy",
        "nascence.gan",
        ("autogan", "autogan", "searches a generator stage by stage", "Gong et al., ICCV 2019"),
    ),
    *_own(
        "evaluator",
        "nascence.jobs.evaluators",
        (
            "accuracy",
            "accuracy",
            "accuracy of a path through a supernet, with BatchNorm statistics of its own",
            "Guo et al. (SPOS), ECCV 2020",
        ),
        (
            "angle",
            "angle",
            "how far a path's weights have turned from their start",
            "Hu et al. (ABS), ECCV 2020",
        ),
        (
            "few-shot",
            "few_shot",
            "validation accuracy of a path through the sub-supernet that holds it",
            "Zhao et al., ICML 2021",
        ),
        ("one-shot", "one_shot", "validation accuracy of a path through one supernet"),
        ("rlnas", "rlnas", "the angle after training on random labels", "Zhang et al., CVPR 2021"),
        ("table", "table", "what the network reached when others trained it"),
        ("train", "train", "validation accuracy after `--steps` steps alone"),
    ),
    *_own(
        "score",
        "nascence.metrics",
        ("channel_independence", "channel_independence", "combination of scores without labels"),
        ("epe", "epe", "correlation of input slopes within each class", "Lopes et al., 2021"),
        ("fisher", "fisher", "squared activation times gradient", "Turner et al., 2020"),
        ("gradient_norm", "gradient_norm", "norm of the gradient"),
        ("grasp", "grasp", "minus weight times Hessian times gradient", "Wang et al., 2020"),
        (
            "jacobian_correlation",
            "jacobian_correlation",
            "eigenvalues of the correlation of input slopes",
            "Mellor et al., first version",
        ),
        ("l2_norm", "l2_norm", "norm of the weights"),
        ("live_macs", "live_macs", "multiply-adds on a way from image to output"),
        ("macs", "macs", "multiply-adds"),
        ("meco", "meco", "least eigenvalues of the channels' correlation", "Jiang et al., 2023"),
        ("naswot", "naswot", "ln det of how well binary codes agree", "Mellor et al., 2021"),
        ("parameters", "parameters", "number of parameters"),
        ("plain", "plain", "weight times gradient"),
        ("snip", "snip", "weight times gradient, absolute"),
        ("swap", "swap", "different activation patterns", "Peng et al., 2024"),
        ("synflow", "synflow", "ln of the flow through positive weights", "Tanaka et al., 2020"),
        ("zen", "zen", "what a Gaussian network makes of a small change", "Lin et al., 2021"),
        ("zico", "zico", "mean over deviation of gradients of two half batches", "Li et al., 2023"),
    ),
    *_own(
        "optimizer",
        "nascence.optim",
        ("adam", "Adam", "Adam", "Kingma and Ba, ICLR 2015"),
        ("adamw", "AdamW", "Adam with decoupled decay", "Loshchilov and Hutter, ICLR 2019"),
        (
            "feed-forward",
            "FeedForward",
            "a perceptron of 32 for each parameter",
            "Metz et al., 2019",
        ),
        (
            "hierarchical",
            "Hierarchical",
            "LSTMs for tensors steer perceptrons",
            "Metz et al., 2020",
        ),
        ("nadamw", "NAdamW", "Adam with Nesterov momentum and decoupled decay"),
        ("sgd", "SGD", "gradient descent with momentum"),
        ("small", "Small", "a perceptron of 4 for each parameter", "after Metz et al., 2022"),
    ),
    *_own(
        "solver",
        "nascence.implicit",
        ("anderson", "anderson", "the default; contractions and what is nearly one"),
        ("broyden", "broyden", "maps that do not contract; memory of 16 states"),
        ("newton_krylov", "newton_krylov", "stiff maps; no fixed-iteration form"),
        ("picard", "picard", "contractions, the cheapest step; the one to export"),
    ),
    *_own(
        "solver",
        "nascence.implicit",
        ("gmres", "newton_krylov", "affine maps, and the backward solve"),
        affine=True,
    ),
)
