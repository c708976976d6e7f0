package rule

import (
	"strings"
	"text/template/parse"
)

// templateQueries are the constant arguments of `query` in a template. unknown says that there are others, too.
func templateQueries(source string) (asked []string, unknown bool) {
	if !strings.Contains(source, "query") || len(source) > maxTemplate {
		return nil, false
	}
	trees := map[string]*parse.Tree{}
	root := parse.New("template")
	root.Mode = parse.SkipFuncCheck
	if _, err := root.Parse(variables+source, "", "", trees); err != nil {
		return nil, false // checkTemplate has said so
	}
	q := queriesOf{}
	for _, name := range sortedKeys(trees) {
		q.node(trees[name].Root)
	}
	return q.asked, q.unknown
}

type queriesOf struct {
	asked   []string
	unknown bool
}

func (q *queriesOf) node(n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			q.node(child)
		}
	case *parse.ActionNode:
		q.node(n.Pipe)
	case *parse.TemplateNode:
		q.node(n.Pipe)
	case *parse.IfNode:
		q.branch(&n.BranchNode)
	case *parse.WithNode:
		q.branch(&n.BranchNode)
	case *parse.RangeNode:
		q.branch(&n.BranchNode)
	case *parse.ChainNode:
		q.node(n.Node)
	case *parse.PipeNode:
		if n != nil {
			q.pipe(n)
		}
	}
}

func (q *queriesOf) branch(b *parse.BranchNode) {
	q.node(b.Pipe)
	q.node(b.List)
	q.node(b.ElseList)
}

// pipe looks at the commands of a pipeline: `query "up"` and `"up" | query`.
func (q *queriesOf) pipe(p *parse.PipeNode) {
	var before []parse.Node
	for _, command := range p.Cmds {
		args := command.Args
		if f, ok := args[0].(*parse.IdentifierNode); ok && f.Ident == "query" {
			given := args[1:]
			if len(given) == 0 && len(before) == 1 {
				given = before
			}
			if text, ok := constantText(given); ok {
				q.asked = append(q.asked, text)
			} else {
				q.unknown = true
			}
		}
		for _, arg := range args {
			q.node(arg)
		}
		before = args
	}
}

func constantText(args []parse.Node) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	if p, ok := args[0].(*parse.PipeNode); ok && len(p.Cmds) == 1 && len(p.Decl) == 0 {
		return constantText(p.Cmds[0].Args)
	}
	s, ok := args[0].(*parse.StringNode)
	if !ok {
		return "", false
	}
	return s.Text, true
}
