package rule

import (
	"text/template/parse"
)

// maxSteps bounds what a template does, estimated from above: nested loops over numbers and templates that use one
// another can otherwise run for hours on a few bytes of text.
const maxSteps = 100_000

// someItems is how many items a loop over labels is taken to have.
const someItems = 64

// templateCost estimates the steps of a template that ParseTest has accepted, and reports whether it uses `query`.
func templateCost(source string) (steps int, queries bool) {
	trees := map[string]*parse.Tree{}
	root := parse.New("template")
	root.Mode = parse.SkipFuncCheck
	if _, err := root.Parse(source, "", "", trees); err != nil {
		return 0, false // never after ParseTest; and what cannot be read does not run
	}
	c := costOf{trees: trees, known: map[string]int{}, longest: someItems}
	for _, tree := range trees {
		c.literals(tree.Root)
	}
	return c.tree("template"), c.queries
}

type costOf struct {
	trees map[string]*parse.Tree
	// known are the costs of templates by name; while one is counted it is beyond the limit, so that recursion is too.
	known map[string]int
	// longest is how often a loop may run: the largest number that a loop, a variable or the dot can get from the source.
	longest int
	queries bool
}

func (c *costOf) tree(name string) int {
	tree := c.trees[name]
	if tree == nil || tree.Root == nil {
		return 0
	}
	if cost, ok := c.known[name]; ok {
		return cost
	}
	c.known[name] = maxSteps + 1
	cost := c.list(tree.Root)
	c.known[name] = cost
	return cost
}

func (c *costOf) list(l *parse.ListNode) int {
	if l == nil {
		return 0
	}
	sum := 0
	for _, n := range l.Nodes {
		sum = min(sum+c.node(n), maxSteps+1)
	}
	return sum
}

func (c *costOf) node(n parse.Node) int {
	switch n := n.(type) {
	case *parse.IfNode:
		return 1 + c.list(n.List) + c.list(n.ElseList)
	case *parse.WithNode:
		return 1 + c.list(n.List) + c.list(n.ElseList)
	case *parse.RangeNode:
		return min(1+c.longest*(1+c.list(n.List))+c.list(n.ElseList), maxSteps+1)
	case *parse.TemplateNode:
		return 1 + c.tree(n.Name)
	}
	return 1
}

// literals looks through everything for `query`, and for numbers that may find their way into a loop.
func (c *costOf) literals(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			c.literals(child)
		}
	case *parse.ActionNode:
		c.pipe(n.Pipe, false)
	case *parse.TemplateNode:
		c.pipe(n.Pipe, true)
	case *parse.IfNode:
		c.branch(&n.BranchNode, false)
	case *parse.WithNode:
		c.branch(&n.BranchNode, true)
	case *parse.RangeNode:
		c.branch(&n.BranchNode, true)
	}
}

func (c *costOf) branch(b *parse.BranchNode, loops bool) {
	c.pipe(b.Pipe, loops)
	c.literals(b.List)
	c.literals(b.ElseList)
}

// pipe looks through a pipeline; loops says that a loop may run over its value.
func (c *costOf) pipe(p *parse.PipeNode, loops bool) {
	if p == nil {
		return
	}
	loops = loops || len(p.Decl) > 0
	for _, command := range p.Cmds {
		for _, arg := range command.Args {
			c.arg(arg, loops)
		}
	}
}

func (c *costOf) arg(n parse.Node, loops bool) {
	switch n := n.(type) {
	case *parse.PipeNode:
		c.pipe(n, loops)
	case *parse.ChainNode:
		c.arg(n.Node, loops)
	case *parse.IdentifierNode:
		c.queries = c.queries || n.Ident == "query"
	case *parse.NumberNode:
		if loops && n.IsInt {
			c.longest = int(min(max(n.Int64, int64(c.longest)), maxSteps+1))
		}
	}
}
